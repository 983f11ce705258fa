"""The segmenter's benchmark: topups into memberships, beside storing alone and beside recomputing everything."""
