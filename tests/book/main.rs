//! The book's own checks: links, anchors, snippets, outputs, spelling.
