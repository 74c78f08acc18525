//! The sockets of listeners and of their clients: TCP, or Unix with the credentials of the peer.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::time::Instant;

use crate::config::{self, Address};

/// Connections that may wait in the kernel before they are accepted, as many as for TCP.
const BACKLOG: u32 = 1024;

/// How long another process may take to make its socket in the same directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// How often is looked whether it has.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A socket on which connections are accepted.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix {
        /// Goes before the listener, so that it is not another's by then.
        _file: SocketFile,
        listener: UnixListener,
    },
}

/// A connection that was accepted, not yet bound to a runtime.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(StdUnixStream),
}

/// A connection.
pub(super) enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket {
    /// Binds; must be called in a tokio runtime.
    pub(super) async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Ip(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(socket) => {
                let (listener, _file) = SocketFile::bind(socket).await?;
                Ok(Self::Unix { _file, listener })
            }
        }
    }

    /// The address it is bound to, if it has one.
    pub(super) fn local_addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix { .. } => Ok(None),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Accepted::Tcp(stream.into_std()?, address))
            }
            Self::Unix { listener, .. } => {
                let (stream, _unnamed) = listener.accept().await?;
                Ok(Accepted::Unix(stream.into_std()?))
            }
        }
    }
}

impl Accepted {
    /// Binds it to the runtime this is called in.
    pub(super) fn into_stream(self) -> io::Result<Stream> {
        match self {
            Self::Tcp(stream, address) => {
                let stream = TcpStream::from_std(stream)?;
                // Small answers should not wait for more to come. A failure costs speed only.
                let _slower = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream, address))
            }
            Self::Unix(stream) => UnixStream::from_std(stream).map(Stream::Unix),
        }
    }
}

/// The file of a Unix socket; it goes with this value, unless another process has replaced it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

impl SocketFile {
    async fn bind(config: &config::UnixSocket) -> io::Result<(UnixListener, Self)> {
        let path = &config.path;
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        // Of two processes that start at once, one must not take the other's socket, which nobody
        // serves yet, for one that was left behind. The lock ends with this function.
        let starting = File::open(directory.unwrap_or(Path::new(".")))?;
        lock(&starting).await?;
        remove_stale(path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        let file = Self {
            path: path.clone(),
            identity: identity(path)?,
        };
        // SECURITY: nobody can connect before it listens, so that nobody does before it has its mode.
        fs::set_permissions(path, Permissions::from_mode(config.mode))?;
        Ok((socket.listen(BACKLOG)?, file))
    }
}

/// Locks a directory, but does not wait for long: whoever can read it can lock it too.
async fn lock(directory: &File) -> io::Result<()> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => {
                let told = "another process holds a lock on the directory";
                return Err(io::Error::new(ErrorKind::TimedOut, told));
            }
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes a socket that nobody serves any more, as a process leaves it behind that was killed.
/// Whatever else is there stays, and binding fails.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        let told = "there is something else than a socket";
        return Err(io::Error::new(ErrorKind::AlreadyExists, told));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Of one that nobody accepts from, too many wait already.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::AddrInUse.into()),
        Ok(_) => Err(ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

macro_rules! either {
    ($stream:expr, $io:ident => $what:expr) => {
        match $stream {
            Stream::Tcp($io, _) => $what,
            Stream::Unix($io) => $what,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(&mut *self, io => Pin::new(io).poll_read(cx, out))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(&mut *self, io => Pin::new(io).poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, io => Pin::new(io).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, io => Pin::new(io).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(&mut *self, io => Pin::new(io).poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        either!(self, io => io.is_write_vectored())
    }
}
