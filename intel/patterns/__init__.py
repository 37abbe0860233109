"""Registration patterns: what an actor's domains have in common that others have not.

In: `Profile`s of known domains (intel/traits.py) and a `Background` of things that were chosen for another reason than
that they interest us. Out, of two kinds:

- `learn.learn`: patterns, each a combination of traits with the known domains that have it and an upper bound of how
  many of a million new domains would have it by chance. A person decides on them; they become rules (`rule.to_rule`).
- `rank.Ranker`: any domain's evidence for the same hand, in bits by family, by all traits at once. `operate` says above
  how many bits it is worth a look, from what was known before and from the background alone.

No absolute date is a trait: it would separate what was collected in one year from what was collected in another.
"""
