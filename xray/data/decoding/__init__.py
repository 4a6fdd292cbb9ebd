"""From a scan's bytes to 8-bit pixels: bounds, decoding, bit depth and size, for one scan or for many at once."""
