//! Floor 1: scalars. Functions of single numbers, and the random numbers that host and device share.

pub mod threefry;
