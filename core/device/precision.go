package device

import "fmt"

// Precision is what matrix products round their operands to. Their sums, all other arithmetic, weights and optimiser state are float32.
type Precision string

// Precisions.
const (
	PrecisionF32  Precision = "f32"
	PrecisionBF16 Precision = "bf16"
	// PrecisionAuto is bfloat16 where that is faster.
	PrecisionAuto Precision = "auto"
)

// Precisions are the names that people may give.
func Precisions() []Precision { return []Precision{PrecisionF32, PrecisionBF16, PrecisionAuto} }

// ParsePrecision checks a name.
func ParsePrecision(name string) (Precision, error) {
	for _, p := range Precisions() {
		if string(p) == name {
			return p, nil
		}
	}
	return "", fmt.Errorf("precision %q: must be one of %v", name, Precisions())
}
