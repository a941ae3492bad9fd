"""The tables of the papers, one CSV a network: what `describe` and the tests compare with; builders never read them."""
