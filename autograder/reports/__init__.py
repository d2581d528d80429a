"""Everything that is shown or exported; each renderer is a pure function of `model.Report`s."""
