"""A fleet in virtual time against the real rules, keeper and stores of the lock."""
