import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { checkPorts, planPorts } from './ports.ts';
import { isPortFree } from './runner/host-ports.ts';

const names = ['cloud', 'edge', 'c', 'd', 'e', 'f', 'g', 'h'];

describe('the ports of a sandbox', () => {
  it('never stand for two things, and two sandboxes 3000 apart share none', () => {
    const all = [7400, 10_400].flatMap((base) => {
      const plan = planPorts(base, names);
      const ranges = [...plan.clusters.values()].map(({ nodePorts: [first, last] }) => [first, last] as const);
      ranges.push([plan.pods.first, plan.pods.first + plan.pods.count - 1]);
      const single = [plan.console, plan.pm, plan.pmOps, plan.pmGrpc, plan.git];
      for (const { api, crm, crmOps } of plan.clusters.values()) single.push(api, crm, crmOps);
      return [
        ...single,
        ...ranges.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i)),
      ];
    });
    expect(new Set(all).size).toBe(all.length);
  });

  it('leave room for the fixed ports of a second sandbox at the next hundred or thousand', () => {
    const first = planPorts(7400, names);
    const second = planPorts(8400, names);
    expect([...second.clusters.values()].at(-1)?.crmOps).toBeLessThan(first.pods.first);
  });

  it('that are taken stop the start with one line that names the port, its owner and the flag', async () => {
    let base = 20_000;
    while (!(await isPortFree(base)) || !(await isPortFree(base + 3))) base += 100;
    const plan = planPorts(base, ['cloud']);
    const other = createServer().listen(plan.git, '127.0.0.1');
    try {
      await expect(checkPorts(plan, base)).rejects.toMatchObject({
        code: 'PortInUse',
        message: `Port ${String(plan.git)}, meant for the Git server, is taken by another program.`,
        remedy: expect.stringContaining('--port-base') as string,
      });
    } finally {
      other.close();
    }
  });
});
