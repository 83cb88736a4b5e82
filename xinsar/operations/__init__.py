"""What each operation means: require, map, label. No loops over pixels, no chunks."""
