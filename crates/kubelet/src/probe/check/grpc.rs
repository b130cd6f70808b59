//! The gRPC health protocol, `grpc.health.v1.Health/Check`.

use tonic::{codegen::http::uri::PathAndQuery, transport::Endpoint};

use super::{Failure, failed};

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

const SERVING: i32 = 1;

pub(super) async fn check(ip: &str, port: i32, service: &str) -> Result<(), Failure> {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let unreachable = |error: &dyn std::fmt::Display| {
        failed(format!("timeout: failed to connect service \"{host}:{port}\": {error}"))
    };
    let endpoint = match Endpoint::from_shared(format!("http://{host}:{port}")) {
        Ok(endpoint) => endpoint,
        Err(error) => return unreachable(&error),
    };
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => return unreachable(&error),
    };
    let mut client = tonic::client::Grpc::new(channel);
    if let Err(error) = client.ready().await {
        return unreachable(&error);
    }
    let request = tonic::Request::new(HealthCheckRequest { service: service.to_owned() });
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    match client.unary(request, path, codec).await {
        Ok(answer) => match answer.into_inner().status {
            SERVING => Ok(()),
            other => failed(format!("service unhealthy (responded with {:?})", word(other))),
        },
        Err(status) => failed(format!("rpc error: code = {:?} desc = {}", status.code(), status.message())),
    }
}

fn word(status: i32) -> &'static str {
    match status {
        1 => "SERVING",
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    }
}
