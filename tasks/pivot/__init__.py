"""An entity in, its neighbourhood out: what shared values are, how common they are, and what two things share."""
