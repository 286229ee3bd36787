//! Owns the connections: accepting them, what one may cost, and ending them in good order.
//!
//! Never looks into a request: that is the router's. HTTP/1.1 only: whoever waits for many requests streams them over one connection.
//!
//! The routes are made once. `axum::serve` makes them anew for every connection, which is most of what a waiting caller would cost.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::{Service as _, service_fn};

/// How long the head of a request may take to come, and how long a connection may be idle before it: as long as others keep one.
const HEAD: Duration = Duration::from_secs(75);
/// Most that the head of a request may measure, in bytes; longer ones are 431.
const LARGEST_HEAD: usize = 64 * 1024;
/// A pause after the process ran out of descriptors: some must be closed first.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_secs(1);

/// Serves until `stop` says so; then every connection ends once its answer is sent.
pub async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let router: Router = router.with_state(());
    // Every connection holds a receiver; when the last one is gone, all have ended.
    let (open, connection) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = said(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(converse(stream, peer, router.clone(), stop.clone(), connection.clone()));
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted; trying again");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
    drop((listener, connection));
    open.closed().await;
}

/// One connection, for as long as it lasts.
async fn converse(stream: TcpStream, peer: SocketAddr, router: Router, mut stop: watch::Receiver<bool>, _open: watch::Receiver<()>) {
    // An answer is written at once: nothing follows that could be sent with it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    // How a connection ends is the other side's business: it is neither an error of ours nor worth a line for every stranger.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = said(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Returns once it is said that the server stops.
async fn said(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could say it is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The connection was gone before it was accepted; the next one may be fine.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
