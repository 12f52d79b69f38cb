package model

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzArch gives arbitrary text to the reader of model dictionaries: what it takes comes back the same, and can be counted.
func FuzzArch(f *testing.F) {
	for _, text := range []string{
		`{"l":2,"o":["sa","c"],"h":[128,256],"n":[2,4],"f":[[512],[512,512]],"p":["sdp",9]}`,
		`{"l":1,"o":[["sa_sdp_64","l_dct_64"]],"h":[128],"f":[[512]]}`,
		`{"l":1,"o":["l"],"h":[32],"n":[2],"f":[[64]],"p":["dft"]}`,
		`{"l":-1}`, `{"l":1,"o":[7],"h":[1e9]}`, `[]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var a, again Arch
		if json.Unmarshal(b, &a) != nil {
			return
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(a, again) {
			t.Fatalf("%s became %s, %v", b, text, err)
		}
		_ = a.Title()
		if n := a.Count(1000).Encoder(); n <= 0 {
			t.Fatalf("%s has %d parameters", text, n)
		}
	})
}
