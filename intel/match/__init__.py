"""Pure matchers: a set of what is watched, and what is looked at, in; hits out. One module for each kind of stream."""
