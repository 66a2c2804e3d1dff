//! x
mod cel;
