"""Pure decisions shared by server and SDK: no input or output, numpy at most."""
