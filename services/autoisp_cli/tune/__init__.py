"""`autoisp tune`: from footage and a prototype to a network and its report."""
