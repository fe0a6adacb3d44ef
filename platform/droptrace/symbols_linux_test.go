//go:build !portable

package droptrace

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// kallsyms is a small kernel: functions from 0x1000 on, data, and two modules above.
const kallsyms = `0000000000000000 A percpu
0000000000000010 T absolute
0000000000001000 T _text
0000000000001000 T startup
0000000000001100 t first.isra.0
0000000000001100 t alias
0000000000001200 W second
0000000000001280 d table
0000000000001300 t third.cold
0000000000002000 D data
0000000000009100 t later	[two]
0000000000008000 t init	[one]
0000000000009000 t early	[two]
`

func TestSymbols(t *testing.T) {
	tests := []struct {
		name, in string
		wanted   []uint64
		want     map[uint64]string
	}{
		{"within", kallsyms, []uint64{0x1150, 0x1210}, map[uint64]string{0x1150: "first", 0x1210: "second"}},
		{"two of one function", kallsyms, []uint64{0x1120, 0x1150, 0x1120}, map[uint64]string{0x1120: "first", 0x1150: "first"}},
		{"behind the last instruction", kallsyms, []uint64{0x1200}, map[uint64]string{0x1200: "first"}},
		{"the first byte's call", kallsyms, []uint64{0x1201}, map[uint64]string{0x1201: "second"}},
		{"data is no function", kallsyms, []uint64{0x1290}, map[uint64]string{0x1290: "second"}},
		{"last of the kernel", kallsyms, []uint64{0x1310}, map[uint64]string{0x1310: "third"}},
		{"modules in any order", kallsyms, []uint64{0x8010, 0x9010, 0x9110},
			map[uint64]string{0x8010: "init", 0x9010: "early", 0x9110: "later"}},
		{"below everything", kallsyms, []uint64{0x8}, map[uint64]string{}},
		{"address 0", kallsyms, []uint64{0}, map[uint64]string{}},
		{"far from everything", kallsyms, []uint64{math.MaxUint64, 0x1250}, map[uint64]string{0x1250: "second"}},
		{"no newline at the end", "1000 T a\n2000 T b", []uint64{0x1100, 0x2100}, map[uint64]string{0x1100: "a", 0x2100: "b"}},
		{"a module below the kernel", "1000 T a\n2000 T b\n0800 t m\t[m]\n", []uint64{0x810, 0x1010},
			map[uint64]string{0x810: "m", 0x1010: "a"}},
		{"nonsense", "\n\nx T y\n1000\n1000 T\n1000 T \n11112222333344445 T z\n0900 T ok", []uint64{0x1001},
			map[uint64]string{0x1001: "ok"}},
	}
	for _, tt := range tests {
		for way, reader := range map[string]io.Reader{
			"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in)),
		} {
			t.Run(tt.name+", "+way, func(t *testing.T) {
				s := newSymbols(tt.wanted)
				if err := s.read(reader, time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				if got := s.names(); !maps.Equal(got, tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		}
	}
}

// TestSymbolsStop: nothing is read behind the function after the last one wanted.
func TestSymbolsStop(t *testing.T) {
	s := newSymbols([]uint64{0x1150})
	broken := iotest.ErrReader(errors.New("read on"))
	if err := s.read(io.MultiReader(strings.NewReader(kallsyms[:strings.Index(kallsyms, "t third")]), broken), time.Time{}); err != nil {
		t.Error(err)
	}
}

func TestSymbolsRefused(t *testing.T) {
	soon, broken := time.Now().Add(time.Hour), errors.New("broken")
	tests := []struct {
		name  string
		in    io.Reader
		until time.Time
		want  error
	}{
		{"all zeros", strings.NewReader(strings.Repeat("0000000000000000 T f\n", 100000)), soon, ErrHidden},
		{"a few zeros", strings.NewReader("0000000000000000 T f\n0000000000000000 t g\n"), soon, ErrHidden},
		{"empty", strings.NewReader(""), soon, ErrHidden},
		{"too slow", strings.NewReader(strings.Repeat("0000000000000001 t f\n", 100000)), time.Now(), ErrSlow},
		{"unreadable", iotest.ErrReader(broken), soon, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := newSymbols([]uint64{0x1150}).read(tt.in, tt.until); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSymbolsAllocate(t *testing.T) {
	s, lines := newSymbols([]uint64{0x5000}), bytes.Repeat([]byte("0000000000001000 T function\n"), 100)
	s.add(lines)
	if n := testing.AllocsPerRun(100, func() { s.add(lines) }); n > 0 {
		t.Errorf("%v allocations for 100 lines", n)
	}
}

func FuzzSymbols(f *testing.F) {
	f.Add([]byte(kallsyms), uint64(0x1150), uint64(0x9010), 7)
	f.Add([]byte("0000000000000000 T f\n"), uint64(0), uint64(1), 1)
	f.Fuzz(func(t *testing.T, b []byte, one, two uint64, split int) {
		whole, parts := newSymbols([]uint64{one, two}), newSymbols([]uint64{one, two})
		whole.add(b)
		split = max(0, min(split, len(b)))
		parts.add(b[:split])
		parts.add(b[split:])
		if got, want := parts.names(), whole.names(); !maps.Equal(got, want) {
			t.Errorf("got %v in two pieces, %v in one", got, want)
		}
	})
}
