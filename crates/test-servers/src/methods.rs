//! What every server can be told.

/// The methods that all servers have. The type needs the fields `server` and `port`, a method `run`, and a constant `STOP`:
/// the signal that ends it in order.
macro_rules! methods {
    ($name:ident) => {
        impl $name {
            /// The port on 127.0.0.1. It stays the same over a restart.
            pub fn port(&self) -> u16 {
                self.port
            }

            /// Stops the server in order.
            ///
            /// # Errors
            ///
            /// The operating system's.
            pub fn stop(&mut self) -> Result<(), $crate::ServerError> {
                self.server.stop(Self::STOP)
            }

            /// Starts a stopped server again, on the same port.
            ///
            /// # Errors
            ///
            /// It does not answer: with its log.
            pub fn resume(&mut self) -> Result<(), $crate::ServerError> {
                self.run()
            }

            /// Stops the server, and starts it again on the same port.
            ///
            /// # Errors
            ///
            /// Those of both.
            pub fn restart(&mut self) -> Result<(), $crate::ServerError> {
                self.stop()?;
                self.resume()
            }

            /// Stops all processes of the server where they are (SIGSTOP): connections are still accepted, by the kernel,
            /// and nothing is answered.
            ///
            /// # Errors
            ///
            /// The operating system's.
            pub fn freeze(&mut self) -> Result<(), $crate::ServerError> {
                self.server.freeze()
            }

            /// Lets a frozen server go on.
            ///
            /// # Errors
            ///
            /// The operating system's.
            pub fn thaw(&mut self) -> Result<(), $crate::ServerError> {
                self.server.thaw()
            }

            /// What the server has logged.
            pub fn log(&self) -> String {
                self.server.log()
            }

            /// The process id, while it runs.
            pub fn pid(&self) -> Option<i32> {
                self.server.id().map(|id| id.as_raw_nonzero().get())
            }

            /// The server's folder. It goes with the server.
            pub fn folder(&self) -> &std::path::Path {
                self.server.folder()
            }
        }
    };
}

pub(crate) use methods;
