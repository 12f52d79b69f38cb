package cuda

import (
	"fmt"
	"unsafe"
)

// gpuGraph is a CUDA graph whose kernel nodes are known by the order of their launches.
type gpuGraph struct {
	g           *gpu
	graph, exec uintptr
	nodes       []uintptr
}

// record captures the stream. Calls that a capture forbids are not made meanwhile: memory has been taken before.
func (g *gpu) record(f func() error) (graph, error) {
	r := &gpuGraph{g: g}
	if err := g.call("cuStreamBeginCapture_v2", g.stream, captureRelaxed); err != nil {
		return nil, err
	}
	g.capturing = r
	failed := f()
	g.capturing = nil
	err := g.call("cuStreamEndCapture", g.stream, uintptr(unsafe.Pointer(&r.graph)))
	if failed != nil {
		err = failed
	}
	if err == nil {
		err = g.call("cuGraphInstantiateWithFlags", uintptr(unsafe.Pointer(&r.exec)), r.graph, 0)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// note remembers the node of the launch just captured: the only one the stream's next command depends on.
func (r *gpuGraph) note() error {
	var status int32
	var id uint64
	var graph, count uintptr
	var nodes *uintptr
	err := r.g.call("cuStreamGetCaptureInfo_v2", r.g.stream, uintptr(unsafe.Pointer(&status)), uintptr(unsafe.Pointer(&id)),
		uintptr(unsafe.Pointer(&graph)), uintptr(unsafe.Pointer(&nodes)), uintptr(unsafe.Pointer(&count)))
	if err != nil {
		return err
	}
	if count != 1 {
		return fmt.Errorf("a captured kernel is %d nodes", count)
	}
	r.nodes = append(r.nodes, *nodes)
	return nil
}

// nodeParams is CUDA_KERNEL_NODE_PARAMS_v2.
type nodeParams struct {
	function                      uintptr
	gridX, gridY, gridZ           uint32
	blockX, blockY, blockZ, bytes uint32
	params                        *[1]unsafe.Pointer
	extra, kernel, context        uintptr
}

func (r *gpuGraph) update(i int, l launch) error {
	r.g.params[0] = l.args
	p := &nodeParams{
		function: r.g.functions[l.kernel], gridX: uint32(l.columns), gridY: uint32(l.rows), gridZ: 1, blockX: uint32(l.block), blockY: 1, blockZ: 1,
		bytes: uint32(l.shared), params: &r.g.params,
	}
	return r.g.call("cuGraphExecKernelNodeSetParams_v2", r.exec, r.nodes[i], uintptr(unsafe.Pointer(p)))
}

func (r *gpuGraph) run() error { return r.g.call("cuGraphLaunch", r.exec, r.g.stream) }

// close ignores failures: the graph's memory goes with the context.
func (r *gpuGraph) close() {
	if r.exec != 0 {
		_ = r.g.call("cuGraphExecDestroy", r.exec)
	}
	if r.graph != 0 {
		_ = r.g.call("cuGraphDestroy", r.graph)
	}
}
