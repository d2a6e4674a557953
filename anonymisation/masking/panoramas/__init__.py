"""Detection in 360° pictures: across the seam, close to the car and near the poles."""
