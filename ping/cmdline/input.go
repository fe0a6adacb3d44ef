package cmdline

import "strings"

// Environ returns the options that the environment sets, in the order of flags
// and in the form of [Normalize]. The variable of an option is prefix, "_" and
// its long name in upper case with "_" for "-" ("LPING", "max-loss":
// LPING_MAX_LOSS), or rename[long] where that exists; renamed to "", the option
// cannot be set from the environment. An empty variable is unset. A switch
// takes 1, 0, true, false, yes, no, on, off in any case; other values are
// kept as they are. lookup is os.LookupEnv.
//
// The error is an *Error about the first bad variable; the options are returned
// even then, and a switch with a bad value counts as meant.
func Environ(flags []Flag, prefix string, rename map[string]string, lookup func(string) (string, bool)) (options []string, err error) {
	for _, f := range flags {
		name := variable(f, prefix, rename)
		if name == "" {
			continue
		}
		value, ok := lookup(name)
		if !ok || value == "" {
			continue
		}
		option, bad := fromVariable(f, name, value)
		options = append(options, option)
		if err == nil {
			err = bad
		}
	}
	return options, err
}

// variable is the name of an option's variable.
func variable(f Flag, prefix string, rename map[string]string) string {
	if name, ok := rename[f.Long]; ok {
		return name
	}
	return prefix + "_" + strings.ToUpper(strings.ReplaceAll(f.Long, "-", "_"))
}

// fromVariable is the option that one variable sets.
func fromVariable(f Flag, name, value string) (string, error) {
	if !f.Switch {
		return canonical(f, value), nil
	}
	on, ok := boolean(value)
	if !ok {
		return canonical(f, "true"), &Error{
			Message: show(name) + " is true or false, not " + Quote(value),
			Hint:    show(name) + "=1 or " + show(name) + "=0",
		}
	}
	return canonical(f, on), nil
}

// boolean reads a switch's value as "true" or "false".
func boolean(s string) (value string, ok bool) {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "on":
		return "true", true
	case "0", "false", "no", "off":
		return "false", true
	}
	return "", false
}
