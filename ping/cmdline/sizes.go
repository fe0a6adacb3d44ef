package cmdline

import "strings"

// parseSizes parses a list of sizes: numbers and ranges FROM:TO or FROM:TO:STEP, with commas between them. A range
// holds FROM and TO, even if no step ends there. Each size is from 0 to max, and at most limit are allowed.
func parseSizes(s string, max, limit int) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, step, err := sizeRange(part, int64(max))
		if err != nil {
			return nil, err
		}
		steps := (to - from + step - 1) / step // the last step may be shorter
		if steps >= limit-len(list) {
			return nil, &Error{quote(s) + " are more than " + decimal(int64(limit)) + " sizes", "fewer sizes, or a longer step"}
		}
		for size := from; size < to; size += step {
			list = append(list, size)
		}
		list = append(list, to)
	}
	return list, nil
}

// sizeRange parses one part of a list of sizes; a number is a range of one.
func sizeRange(part string, max int64) (from, to, step int, err error) {
	const sample = "FROM:TO:STEP such as 0:1472:64, or a list such as 0,56,1472"
	numbers := strings.Split(part, ":")
	bounds := [3]int{0, 0, 1}
	for i, number := range numbers {
		least := int64(0)
		switch {
		case i == len(bounds) || number == "":
			return 0, 0, 0, &Error{quote(part) + " is no range of sizes", sample}
		case i == len(bounds)-1:
			least = 1
		}
		n, err := parseInteger(number, least, max)
		if err != nil {
			return 0, 0, 0, err
		}
		bounds[i] = int(n)
	}
	from, to, step = bounds[0], bounds[1], bounds[2]
	if len(numbers) == 1 {
		to = from
	}
	if to < from {
		return 0, 0, 0, &Error{quote(part) + " ends before it starts", "write " + decimal(int64(to)) + ":" + decimal(int64(from))}
	}
	return from, to, step, nil
}
