import { chromium } from '@playwright/test';
import Axe from '@axe-core/playwright';
const AxeBuilder = Axe.default ?? Axe;
const base = process.env.BASE ?? 'http://127.0.0.1:7471';
const only = process.argv[2] ? process.argv[2].split(',') : null;
const modes = (process.argv[3] ?? 'light,dark,phone').split(',');
const pages = {
  signin: '/sign-in',
  overview: '/',
  sources: '/sources',
  source: '/sources/gitops',
  refused: '/sources/edge-apps',
  history: '/sources/gitops?tab=history',
  settings: '/sources/archive?tab=settings',
  suspended: '/sources/platform',
  packages: '/packages',
  package: '/packages/chat',
  deployments: '/deployments',
  deployment: '/deployments/counter-counter-cloud',
  conditions: '/deployments/fleet-005-sensor-lab?tab=conditions',
  hold: '/deployments/example-record-edge?tab=access',
  collections: '/deployments/counter-counter-cloud?tab=collections',
  reslist: '/deployments/counter-counter-cloud?resources=list',
  desired: '/deployments/counter-counter-cloud?tab=desired',
  clusters: '/clusters',
  cluster: '/clusters?cluster=lab',
  grid: '/grid',
  gridmap: '/grid/cloud/counter-counter-cloud',
  audit: '/audit',
  missing: '/nothing-here',
  nosource: '/sources/nope',
};
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium' });
let bad = 0;
for (const mode of modes) {
  const phone = mode === 'phone';
  const ctx = await browser.newContext({
    viewport: phone ? { width: 390, height: 844 } : { width: 1440, height: 900 },
    colorScheme: mode === 'dark' ? 'dark' : 'light',
    deviceScaleFactor: 1,
  });
  const page = await ctx.newPage();
  page.on('console', (m) => {
    if (m.type() === 'error' || m.type() === 'warning') console.log(mode, page.url(), m.type(), m.text().slice(0, 300));
  });
  page.on('pageerror', (e) => console.log(mode, page.url(), 'PAGEERROR', e.message.slice(0, 400)));
  for (const [name, path] of Object.entries(pages)) {
    if (only && !only.includes(name)) continue;
    if (name !== 'signin' && (await ctx.cookies()).length === 0) {
      await page.goto(base + '/sign-in');
      await page.getByLabel('Password').fill('pw');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL(base + '/');
    }
    await page.goto(base + path);
    await page.waitForTimeout(1100);
    await page.screenshot({ path: `/tmp/shots/${name}-${mode}.png` });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) console.log('OVERFLOW', mode, name, over);
    if (process.env.AXE !== '0') {
      const r = await new AxeBuilder({ page })
        .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
        .analyze();
      for (const v of r.violations) {
        bad++;
        console.log(
          'AXE',
          mode,
          name,
          v.id,
          v.nodes.length,
          v.nodes
            .slice(0, 3)
            .map((n) => n.html.slice(0, 160) + ' | ' + (n.any[0]?.message ?? n.all[0]?.message ?? '').slice(0, 180))
            .join('\n      '),
        );
      }
    }
  }
  await ctx.close();
}
await browser.close();
console.log('axe violations', bad);
