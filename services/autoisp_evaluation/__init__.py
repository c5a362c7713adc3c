"""The evaluation service: judges networks and prototypes on the clips of a dataset split."""
