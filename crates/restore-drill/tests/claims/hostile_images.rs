//! hostile_images
