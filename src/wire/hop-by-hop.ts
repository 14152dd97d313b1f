/** Headers that belong to one connection and end with it (RFC 9110, 7.6.1), beside those that `Connection` names. Small letters. */
export const hopByHopHeaders: readonly string[] = [
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
