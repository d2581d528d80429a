"""Mutation testing of the reference solutions: each small change of one must fail its hidden suite, or be known to be right as well."""
