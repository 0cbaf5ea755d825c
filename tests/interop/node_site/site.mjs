// A site on node-oidc-provider, which is a client of the other site by openid-client.
//
// Run as `node site.mjs CONFIG.json`, below a folder whose node_modules has both.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import Provider, { errors } from "oidc-provider";
import * as openid from "openid-client";

const CONFIG = JSON.parse(readFileSync(process.argv[2], "utf8"));
const THERE = CONFIG.client;
const HERE = CONFIG.at_the_other;
const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:reciprocal";
const SUBJECT = "alice-there";

// With private_key_jwt, the other site has keys in place of a secret.
const SIGNS = THERE.auth_method === "private_key_jwt";

const journal = [];
const note = (what, more = {}) => journal.push({ what, ...more });
// What we hold at the other site, and the visits of browsers there.
let held = null;
const visits = new Map();

// The authorization server

// With an initial access token, the other site registers itself (RFC 7591, RFC 7592).
const INITIAL = CONFIG.registration_token;
const REGISTRATION = INITIAL && {
  registration: { enabled: true, initialAccessToken: INITIAL },
  registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
};

const provider = new Provider(CONFIG.url, {
  clients: INITIAL ? [] : [
    {
      client_id: THERE.id,
      ...(SIGNS ? { jwks_uri: THERE.jwks_uri } : { client_secret: THERE.secret }),
      ...(SIGNS && { token_endpoint_auth_signing_alg: "ES256" }),
      redirect_uris: [THERE.redirect_uri],
      token_endpoint_auth_method: THERE.auth_method,
      grant_types: ["authorization_code", "refresh_token", GRANT_TYPE],
    },
  ],
  // By itself, it does not fetch keys from an address of this machine.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  scopes: ["openid", "playback", "history"],
  // The ID token of the code flow holds "sub" alone; the name is at the UserInfo endpoint.
  claims: { openid: ["sub", "name"] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: "Alice There" }),
  }),
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    ...REGISTRATION,
  },
  routes: { authorization: "/authorize", revocation: "/revoke" },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed("refresh_token"),
  rotateRefreshToken: true,
});

// Step (E) as party B: the draft's rules as a grant type of our own.
provider.registerGrantType(
  GRANT_TYPE,
  async (ctx) => {
    const { client, params } = ctx.oidc;
    if (!params.code || !params.access_token) {
      throw new errors.InvalidRequest("code and access_token are required");
    }
    const token = await provider.AccessToken.find(params.access_token);
    if (!token || token.clientId !== client.clientId) {
      throw new errors.InvalidGrant("the access token is not this client's");
    }
    await redeem(params.code);
    ctx.body = {};
  },
  ["code", "access_token"],
);

// Every visitor is alice-there and allows everything, without a question.
async function interaction(request, response) {
  const details = await provider.interactionDetails(request, response);
  let result;
  if (details.prompt.name === "login") {
    result = { login: { accountId: SUBJECT } };
  } else {
    const grantId = await grantOf(details.params.scope, details.params.client_id);
    result = { consent: { grantId } };
  }
  await provider.interactionFinished(request, response, result, {
    mergeWithLastSubmission: true,
  });
}

async function grantOf(scope, clientId = THERE.id) {
  const grant = new provider.Grant({ accountId: SUBJECT, clientId });
  grant.addOIDCScope(scope);
  return grant.save();
}

async function whoami(request, response) {
  const value = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const token = value && (await provider.AccessToken.find(value));
  if (!token) {
    response.writeHead(401, { "WWW-Authenticate": "Bearer" }).end();
    return;
  }
  send(response, { sub: token.accountId, scope: token.scope });
}

// The client of the other site

let configuration = null;
async function atTheOther() {
  configuration ??= await openid.discovery(
    new URL(HERE.issuer),
    HERE.id,
    undefined,
    openid.ClientSecretBasic(HERE.secret),
    { execute: [openid.allowInsecureRequests] },
  );
  return configuration;
}

// Step (F): the library sends the redirect URI as well, as for every code.
async function redeem(code) {
  try {
    held = await openid.genericGrantRequest(await atTheOther(), "authorization_code", {
      code,
      redirect_uri: HERE.redirect_uri,
    });
    note("redeemed", { scope: held.scope ?? "" });
  } catch (error) {
    note("redemption refused", { error: error.error ?? String(error) });
  }
}

async function start(response) {
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  visits.set(state, verifier);
  const url = openid.buildAuthorizationUrl(await atTheOther(), {
    redirect_uri: HERE.redirect_uri,
    scope: HERE.scope,
    state,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  response.writeHead(302, { Location: url.href }).end();
}

async function callback(url, response) {
  const state = url.searchParams.get("state");
  held = await openid.authorizationCodeGrant(await atTheOther(), url, {
    pkceCodeVerifier: visits.get(state),
    expectedState: state,
  });
  note("connected", { reciprocal: held.reciprocal ?? "" });
  send(response, await handOver());
}

// Step (E) as party A: make a code for the other site and hand it over. No client library has this
// grant, and openid-client accepts only a response with an access token in it.
async function handOver() {
  const client = await provider.Client.find(THERE.id);
  const code = new provider.AuthorizationCode({
    accountId: SUBJECT,
    client,
    grantId: await grantOf(held.reciprocal),
    gty: "authorization_code",
    redirectUri: THERE.redirect_uri,
    scope: held.reciprocal,
  });
  const body = new URLSearchParams({
    grant_type: GRANT_TYPE,
    code: await code.save(),
    client_id: HERE.id,
    access_token: held.access_token,
  });
  const credentials = Buffer.from(`${HERE.id}:${HERE.secret}`).toString("base64");
  const response = await fetch(HERE.token_endpoint, {
    method: "POST",
    headers: { Authorization: `Basic ${credentials}` },
    body,
  });
  note("handed over", { status: response.status });
  return { status: response.status, body: await response.json() };
}

async function call(url, response) {
  if (url.searchParams.has("refresh")) {
    const renewed = await openid.refreshTokenGrant(await atTheOther(), held.refresh_token);
    held = { refresh_token: held.refresh_token, ...renewed };
  }
  const answer = await fetch(HERE.resource, {
    headers: { Authorization: `Bearer ${held.access_token}` },
  });
  const body = answer.ok ? await answer.json() : await answer.text();
  send(response, { status: answer.status, body });
}

// Addresses

function send(response, document) {
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(document));
}

provider.on("grant.success", (ctx) => {
  if (ctx.oidc.params?.grant_type === "refresh_token") note("refreshed");
});
provider.on("registration_create.success", (ctx, client) =>
  note("registered", { client: client.clientId, method: client.tokenEndpointAuthMethod }),
);
provider.on("access_token.destroyed", () => note("revoked"));
provider.on("refresh_token.destroyed", () => note("revoked"));
provider.on("server_error", (ctx, error) => console.error(error));
provider.on("grant.error", (ctx, error) => console.error(error));

const standard = provider.callback();
const ours = {
  "/journal": (url, request, response) => send(response, journal),
  "/whoami": (url, request, response) => whoami(request, response),
  "/start": (url, request, response) => start(response),
  "/callback": (url, request, response) => callback(url, response),
  "/call": (url, request, response) => call(url, response),
};

createServer((request, response) => {
  const url = new URL(request.url, CONFIG.url);
  const failed = (error) => {
    console.error(error);
    if (!response.headersSent) response.writeHead(500).end(String(error));
  };
  const handler = url.pathname.startsWith("/interaction/")
    ? () => interaction(request, response)
    : ours[url.pathname] && (() => ours[url.pathname](url, request, response));
  if (handler) {
    Promise.resolve().then(handler).catch(failed);
  } else {
    standard(request, response);
  }
}).listen(CONFIG.port, "127.0.0.1");
