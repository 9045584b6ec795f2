"""What is not asked at each change: locks, speed, size, other processors, other site generators."""
