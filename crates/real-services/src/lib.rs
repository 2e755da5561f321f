//! Nothing: the tests of this package prove the bridges with the managers that people use, against real servers. See the
//! README.
