"""What the foundation can do, each figure beside a raw limit measured in the same run: `conecta bench`."""
