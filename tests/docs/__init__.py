"""What is written about the product, checked against the product."""
