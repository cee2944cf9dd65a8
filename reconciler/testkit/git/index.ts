/** A real Git server for tests and for the sandbox: bare repositories over HTTP, with a forge's webhooks. */
export { type CommitOptions, type GitRepositories, openRepositories } from './repositories.ts';
export { type GitServer, type GitServerOptions, startGitServer } from './server.ts';
export { type PushWebhook, type WebhookDelivery } from './webhook.ts';
