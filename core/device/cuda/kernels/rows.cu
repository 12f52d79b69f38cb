// Embeddings, gather and scatter.
//
// Scatter adds rows in a fixed order without atomics: row numbers are sorted with their rows (by counting the smaller ones: sums of integers, so their
// order does not matter), runs of equal numbers are summed in pieces of RUN_ROWS, and the pieces of a run are added in order.

#define RUN_ROWS 64

struct GatherArgs { View y, x, segment; const int *rows, *segments; };

// y[i] = x[rows[i]] (+ segment[segments[i]]), zeros for a negative row.
KERNEL(gather, GatherArgs, 256) {
  EACH(i, j, a.y.rows, a.y.cols) {
    int r = a.rows[i];
    float v = r >= 0 ? row_of(a.x, r)[j] : 0.f;
    if (a.segment.p) v += row_of(a.segment, a.segments[i])[j];
    row_of(a.y, i)[j] = v;
  }
}

// RankArgs: rank[i] counts the rows that come before row i when sorted by number; it starts as zero. Each block of the y-axis counts a part.
struct RankArgs { const int* rows; int* rank; int n, part; };

KERNEL(rank_rows, RankArgs, 256) {
  __shared__ int tile[256];
  int i = blockIdx.x * 256 + threadIdx.x, first = blockIdx.y * a.part, last = min(first + a.part, a.n);
  int mine = i < a.n ? a.rows[i] : 0, count = 0;
  for (int at = first; at < last; at += 256) {
    __syncthreads();
    if (at + (int)threadIdx.x < last) tile[threadIdx.x] = a.rows[at + threadIdx.x];
    __syncthreads();
    int here = min(256, last - at);
    for (int k = 0; k < here; k++) count += tile[k] < mine || (tile[k] == mine && at + k < i);
  }
  if (i < a.n) atomicAdd(&a.rank[i], count);
}

struct OrderArgs { const int *rows, *rank; int *order, *sorted; int n, unused; };

KERNEL(order_rows, OrderArgs, 256) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i >= a.n) return;
  a.order[a.rank[i]] = i;
  a.sorted[a.rank[i]] = a.rows[i];
}

// ScatterArgs: block (c, k) has 256 columns and piece k of the sorted rows. Runs that lie within the piece go to y; the sum of the piece's first
// run goes to head[k], and that of a last run that is not the first to tail[k], if they touch the piece's ends.
struct ScatterArgs { View y, x; const int *order, *sorted; float *head, *tail; int n, unused; };

KERNEL(scatter_pieces, ScatterArgs, 256) {
  int j = blockIdx.x * 256 + threadIdx.x, k = blockIdx.y, cols = a.y.cols;
  if (j >= cols) return;
  int first = k * RUN_ROWS, last = min(first + RUN_ROWS, a.n);
  float sum = 0.f;
  int start = first;
  for (int s = first; s < last; s++) {
    int r = a.sorted[s];
    if (r >= 0) sum += row_of(a.x, a.order[s])[j];
    if (s + 1 < last && a.sorted[s + 1] == r) continue;
    bool left = start == first && first > 0 && a.sorted[first - 1] == r, right = s + 1 == last && last < a.n && a.sorted[last] == r;
    if (left) a.head[(long long)k * cols + j] = sum;
    else if (right) a.tail[(long long)k * cols + j] = sum;
    else if (r >= 0) row_of(a.y, r)[j] = sum;
    sum = 0.f;
    start = s + 1;
  }
}

// A run that goes beyond its piece starts in one tail and goes on in the heads of the pieces behind.
KERNEL(scatter_runs, ScatterArgs, 256) {
  int j = blockIdx.x * 256 + threadIdx.x, k = blockIdx.y, cols = a.y.cols, first = k * RUN_ROWS, last = first + RUN_ROWS;
  if (j >= cols || last >= a.n) return;
  int r = a.sorted[last - 1];
  if (r < 0 || a.sorted[last] != r || (first > 0 && a.sorted[first - 1] == r)) return;
  float sum = a.tail[(long long)k * cols + j];
  for (int next = k + 1; next * RUN_ROWS < a.n && a.sorted[next * RUN_ROWS] == r; next++) sum += a.head[(long long)next * cols + j];
  row_of(a.y, r)[j] = sum;
}
