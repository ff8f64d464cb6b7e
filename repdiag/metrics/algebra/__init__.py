"""The algebra that several families share: moments, products, unit rows; knows no metric."""
