// A PM to look at the console with: `npx tsx console/testkit/main-fixture-pm.ts [port]`.
import { startFixturePm } from './fixture-pm.ts';

const pm = await startFixturePm({ port: Number(process.argv[2] ?? 7401) });
process.stdout.write(`OAAS_PM_URL=${pm.url} OAAS_PM_TOKEN=${pm.token}\n`);
