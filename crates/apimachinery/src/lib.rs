//! The vocabulary every component shares: object metadata, selectors, quantities, names and Status.
