"""Evidence for someone outside: what an agent did, in order, with proofs that can be checked without us."""
