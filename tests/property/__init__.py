"""Random sequences against simple models."""
