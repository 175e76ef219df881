"""The families of golden cases, one module a family; each has `build() -> Family`."""
