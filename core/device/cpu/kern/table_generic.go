package kern

// genericTable is the portable kernels. They compute the elementary functions in float64, which makes them exact to the last bit or two.
func genericTable() *Table {
	return &Table{
		Level: Generic, tiles: genericTiles(),
		Exp: genericExp, Erf: genericErf, Tanh: genericTanh, GELU: genericGELU, GELUGrad: genericGELUGrad, TanhGrad: genericTanhGrad,
		Add: genericAdd, Mul: genericMul, MulAdd: genericMulAdd, Reverse: genericReverse, Scale: genericScale, Axpy: genericAxpy, Dropout: genericDropout,
		Sum: genericSum, Dot: genericDot, Max: genericMax, SumSquares: genericSumSquares,
		FirstNonFinite: genericFirstNonFinite,
		ExpSum:         genericExpSum, Softmax: genericSoftmax, SoftmaxGrad: genericSoftmaxGrad,
		MeanVar: genericMeanVar, Normalize: genericNormalize, NormGrad: genericNormGrad, NormParamGrad: genericNormParamGrad,
		AdamW: genericAdamW,
	}
}
