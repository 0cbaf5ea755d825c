// A party B on node-oidc-provider, with the reciprocal grant as a grant type of its own.
//
// Run as `node site.mjs CONFIG.json`, below a folder whose node_modules has oidc-provider.
// CONFIG.json is that of authlib_b.py; `mistakes` and `differences` are names of planted.py.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import Provider, { errors } from "oidc-provider";

const CONFIG = JSON.parse(readFileSync(process.argv[2], "utf8"));
const PEER = CONFIG.peer;
const URL_HERE = `http://127.0.0.1:${CONFIG.port}`;
const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:reciprocal";
// What a code may look like (RFC 6749, appendix A.11), and a limit that we set.
const CODE = /^[\x20-\x7e]{1,4096}$/;
const ATTEMPTS = 6;
const FIRST_PAUSE = 500;
const TIMEOUT = 40_000;

const mistake = (name) => (CONFIG.mistakes ?? []).includes(name);
const differs = (name) => (CONFIG.differences ?? []).includes(name);

// The process trusts the certificates of NODE_EXTRA_CA_CERTS, too.
if (mistake("certificate_unchecked")) process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";

// The authorization server

const grants = new Map(); // Those of each user.

const provider = new Provider(URL_HERE, {
  clients: CONFIG.clients.map((client) => ({
    client_id: client.id,
    client_secret: client.secret,
    redirect_uris: [client.redirect_uri],
    token_endpoint_auth_method: "client_secret_basic",
    grant_types: ["authorization_code", "refresh_token", "client_credentials", GRANT_TYPE],
  })),
  scopes: CONFIG.clients[0].scope.split(" "),
  extraParams: ["user"],
  findAccount: (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
  },
  routes: { authorization: "/authorize", revocation: "/revoke" },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  ttl: { AccessToken: CONFIG.expires_in, ClientCredentials: CONFIG.expires_in, RefreshToken: 86400 },
  // Every visitor allows everything, without a question.
  async loadExistingGrant(ctx) {
    const { client, session, params } = ctx.oidc;
    const grant = new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
    grant.addOIDCScope(params.scope ?? "");
    const id = await grant.save();
    grants.set(session.accountId, [...(grants.get(session.accountId) ?? []), id]);
    return grant;
  },
});

// Step (D): say which scope we need.
provider.use(async (ctx, next) => {
  await next();
  const gave = ctx.path === "/token" && ctx.status === 200 && ctx.body?.access_token;
  if (gave && ctx.oidc.params.grant_type === "authorization_code" && !differs("asks_nothing")) {
    ctx.body.reciprocal = PEER.reciprocal;
  }
});

// Step (E): the draft's rules.
const received = new Map(); // The codes that we were given, and for whom.
let handovers = 0;

async function takeCode(ctx) {
  const { client, params } = ctx.oidc;
  const { code, access_token: accessToken } = params;
  if (!CODE.test(code ?? "") || !accessToken) throw new errors.InvalidRequest();
  if (params.client_id !== client.clientId && !mistake("client_id_ignored")) {
    throw new errors.InvalidRequest("client_id is missing");
  }
  const token = await findToken(accessToken);
  const isTheirs = token?.clientId === client.clientId || mistake("tokens_of_others_taken");
  if (!token || !isTheirs) throw new errors.InvalidGrant("access_token is not valid");
  const user = token.accountId ?? token.clientId;
  const before = received.get(code);
  if (before && before !== user && !mistake("replay_of_another_user_taken")) {
    throw new errors.InvalidGrant("code is not valid");
  }
  received.set(code, user);
  handovers += 1;
  if (!before || mistake("replay_redeemed")) {
    const redeemed = redeem(code, user, handovers);
    if (mistake("redeems_in_the_request") && !(await redeemed)) {
      throw new errors.InvalidGrant("code cannot be redeemed");
    }
  }
  ctx.body = differs("answers_with_nothing") ? "" : {};
}

async function findToken(value) {
  const found = await provider.AccessToken.find(value);
  if (!found && mistake("client_tokens_taken")) return provider.ClientCredentials.find(value);
  if (!found && mistake("refresh_tokens_taken")) return provider.RefreshToken.find(value);
  return found;
}

const repeatable = mistake("repeated_codes_taken") ? ["code"] : [];
provider.registerGrantType(GRANT_TYPE, takeCode, ["code", "access_token"], repeatable);

// The client of the peer

const links = new Map(); // What we hold at the peer for each user.

function linkOf(user) {
  if (!links.has(user)) links.set(user, { token: null, order: 0, ended: 0 });
  return links.get(user);
}

async function ask(url, parameters) {
  const encoded = mistake("credentials_not_encoded") ? (text) => text : formEncoded;
  const credentials = `${encoded(PEER.client_id)}:${encoded(PEER.client_secret)}`;
  return fetch(url, {
    method: "POST",
    // A request that holds secrets follows no redirect.
    redirect: mistake("redirects_followed") ? "follow" : "manual",
    headers: { Authorization: `Basic ${Buffer.from(credentials).toString("base64")}` },
    body: new URLSearchParams(parameters),
    signal: AbortSignal.timeout(TIMEOUT),
  });
}

const formEncoded = (text) => new URLSearchParams({ "": text }).toString().slice(1);

async function tokenOf(response) {
  const token = JSON.parse((await response.text()).slice(0, 100_000));
  if (typeof token?.access_token !== "string") throw new TypeError("There is no access token.");
  const isBearer = token.token_type?.toLowerCase() === "bearer" || mistake("any_token_type");
  if (!isBearer) throw new TypeError("The type of the token is unknown.");
  return { ...token, until: Date.now() + (token.expires_in ?? 3600) * 1000 };
}

// Step (F). The same code is sent again only while the peer has trouble that passes.
async function redeem(code, user, order) {
  if (differs("redeems_later")) await sleep(1000);
  const parameters = { grant_type: "authorization_code", code };
  if (mistake("redirect_uri_sent")) parameters.redirect_uri = `${URL_HERE}/callback`;
  const isOnce = mistake("redeems_once") || mistake("redeems_in_the_request");
  for (let attempt = 0; attempt < (isOnce ? 1 : ATTEMPTS); attempt += 1) {
    const response = await ask(PEER.token_endpoint, parameters).catch(console.error);
    if (response?.status === 200) {
      const stored = tokenOf(response).then((token) => store(token, user, order));
      // Nobody awaits this function: an error that it lets through ends the process.
      if (mistake("error_uncaught")) return stored;
      return stored.then(() => true, (error) => console.error("No token response:", error));
    }
    const passes = !response || response.status === 429 || response.status >= 500;
    if (!passes && !mistake("refusal_tried_again")) return false;
    const asked = Number(response?.headers.get("Retry-After")) * 1000 || 0;
    const pause = mistake("refusal_tried_again") ? 100 : FIRST_PAUSE * 2 ** attempt;
    await sleep(Math.max(pause, mistake("retry_after_ignored") ? 0 : asked));
  }
  return false;
}

function store(token, user, order) {
  const link = linkOf(user);
  if (order < link.ended) return revokeAtPeer(token);
  if (order > link.order || mistake("older_code_wins")) Object.assign(link, { token, order });
  return true;
}

async function refresh(link) {
  const { refresh_token: refreshToken } = link.token;
  if (!refreshToken) return false;
  const parameters = { grant_type: "refresh_token", refresh_token: refreshToken };
  const response = await ask(PEER.token_endpoint, parameters);
  if (response.status !== 200) return false;
  const token = await tokenOf(response);
  link.token = mistake("refresh_token_lost") ? token : { refresh_token: refreshToken, ...token };
  return true;
}

// Calls the API once, and once more after a refresh if it does not take the token.
async function use(user) {
  const link = linkOf(user);
  if (!link.token) return { user, connected: false };
  if (link.token.until < Date.now() && !(await refresh(link))) return { user, status: 401 };
  let response = await call(link);
  if (response.status === 401 && (await refresh(link))) response = await call(link);
  return { user, connected: true, status: response.status, scope: link.token.scope };
}

const call = (link) =>
  fetch(PEER.api, { headers: { Authorization: `Bearer ${link.token.access_token}` } });

// Disconnects a user: nothing that either party holds for this link works after it.
async function end(user) {
  const link = linkOf(user);
  const held = link.token;
  handovers += 1;
  Object.assign(link, { token: null, ended: handovers });
  for (const id of grants.get(user) ?? []) {
    for (const kind of ["AccessToken", "RefreshToken", "AuthorizationCode"]) {
      await provider[kind].revokeByGrantId(id);
    }
  }
  if (held && !mistake("disconnect_keeps_tokens")) revokeAtPeer(held);
  return { user, connected: false };
}

function revokeAtPeer(token) {
  const value = token.refresh_token ?? token.access_token;
  ask(PEER.revocation_endpoint, { token: value }).catch(console.error);
}

// Addresses

// Every visitor is signed in as `user`.
async function interaction(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const result = params.user ? { login: { accountId: params.user } } : { error: "access_denied" };
  await provider.interactionFinished(request, response, result);
}

async function me(request, response) {
  const value = (request.headers.authorization ?? "").replace(/^Bearer /, "");
  const token = value && (await provider.AccessToken.find(value));
  if (token) send(response, { user: token.accountId, scope: token.scope });
  else response.writeHead(401, { "WWW-Authenticate": "Bearer" }).end();
}

function send(response, document) {
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(document));
}

provider.on("server_error", (ctx, error) => console.error(error));
provider.on("grant.error", (ctx, error) => console.error(error));

const standard = provider.callback();
const ours = {
  "/me": (url, request, response) => me(request, response),
  "/use": async (url, request, response) => send(response, await use(url.searchParams.get("user"))),
  "/end": async (url, request, response) => send(response, await end(url.searchParams.get("user"))),
};

createServer((request, response) => {
  const url = new URL(request.url, URL_HERE);
  // Every visit is that of the user whom it names, whoever came before in this browser.
  request.headers.cookie = (request.headers.cookie ?? "").replace(/_session[^;]*;? ?/g, "");
  const handler = url.pathname.startsWith("/interaction/")
    ? () => interaction(request, response)
    : ours[url.pathname] && (() => ours[url.pathname](url, request, response));
  if (!handler) {
    standard(request, response);
    return;
  }
  Promise.resolve()
    .then(handler)
    .catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500).end();
    });
}).listen(CONFIG.port, "127.0.0.1");
