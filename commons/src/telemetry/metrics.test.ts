import { describe, expect, it } from 'vitest';
import { createMetrics } from './index.ts';

describe('metrics', () => {
  it('stand at zero for every declared value before anything happens', async () => {
    const metrics = createMetrics({ service: 'pm' });
    metrics.counter({ name: 'a_total', help: 'A.', labels: { result: ['ok', 'failed'], kind: ['x'] } });
    metrics.gauge({ name: 'b', help: 'B.' });
    metrics.histogram({ name: 'c_seconds', help: 'C.', labels: { phase: ['apply'] } });
    const { body } = await metrics.render();
    expect(body).toContain('a_total{result="ok",kind="x",service="pm"} 0');
    expect(body).toContain('a_total{result="failed",kind="x",service="pm"} 0');
    expect(body).toContain('b{service="pm"} 0');
    expect(body).toContain('c_seconds_count{service="pm",phase="apply"} 0');
  });

  it('count undeclared values, and those over the cap, as other', async () => {
    const metrics = createMetrics({ service: 'pm' });
    const listed = metrics.counter({ name: 'a_total', help: 'A.', labels: { result: ['ok'] } });
    const capped = metrics.counter({ name: 'b_total', help: 'B.', labels: { repo: 2 } });
    listed.inc({ result: 'surprise' });
    for (const repo of ['one', 'two', 'three', 'four', 'one']) capped.inc({ repo });
    const { body } = await metrics.render();
    expect(body).toContain('a_total{result="other",service="pm"} 1');
    expect(body).toContain('b_total{repo="one",service="pm"} 2');
    expect(body).toContain('b_total{repo="other",service="pm"} 2');
    expect(body).not.toContain('three');
  });

  it('count the same by what is bound to labels, and keep its labels bounded', async () => {
    const metrics = createMetrics({ service: 'pm' });
    const calls = metrics.counter({ name: 'a_total', help: 'A.', labels: { repo: 1 } });
    const seconds = metrics.histogram({ name: 'b_seconds', help: 'B.', labels: { repo: 1 }, buckets: [1] });
    for (const repo of ['one', 'two']) {
      const [inc, observe] = [calls.bind({ repo }), seconds.bind({ repo })];
      inc();
      calls.bind({ repo })();
      calls.inc({ repo });
      observe(0.5);
      seconds.observe({ repo }, 2);
    }
    await metrics.render();
    const { body } = await metrics.render();
    for (const repo of ['one', 'other']) {
      expect(body).toContain(`a_total{repo="${repo}",service="pm"} 3`);
      expect(body).toContain(`b_seconds_bucket{le="1",service="pm",repo="${repo}"} 1`);
      expect(body).toContain(`b_seconds_count{service="pm",repo="${repo}"} 2`);
    }
  });

  it('ask for the value of a gauge at each scrape', async () => {
    const metrics = createMetrics({ service: 'pm' });
    let depth = 3;
    metrics.gauge({
      name: 'depth',
      help: 'D.',
      collect: (gauge) => {
        gauge.set({}, depth);
      },
    });
    depth = 4;
    expect((await metrics.render()).body).toContain('depth{service="pm"} 4');
  });

  it('of a gauge that is counted anew forget what is gone, whose place another takes, and add up what is over the cap', async () => {
    const metrics = createMetrics({ service: 'pm' });
    const objects = metrics.gauge({ name: 'objects', help: 'O.', labels: { repo: 1, kind: ['x'] } });
    const count = (repos: readonly string[]): void => {
      objects.reset();
      for (const repo of repos) objects.inc({ repo, kind: 'x' }, 2);
    };
    count(['a', 'b', 'c']);
    count(['a', 'b', 'c']);
    const { body } = await metrics.render();
    expect(body).toContain('objects{repo="a",kind="x",service="pm"} 2');
    expect(body).toContain('objects{repo="other",kind="x",service="pm"} 4');
    count(['b']);
    const later = (await metrics.render()).body;
    expect(later).toContain('objects{repo="b",kind="x",service="pm"} 2');
    expect(later).not.toMatch(/repo="(a|other)"/);
  });

  it('of a gauge that is counted anew stand at zero again for declared values', async () => {
    const metrics = createMetrics({ service: 'pm' });
    const depth = metrics.gauge({ name: 'depth', help: 'D.', labels: { kind: ['x'] } });
    depth.inc({ kind: 'x' });
    depth.reset();
    expect((await metrics.render()).body).toContain('depth{kind="x",service="pm"} 0');
  });

  it('of two programs in one process stay apart, and a name is taken once', async () => {
    const first = createMetrics({ service: 'first' });
    const second = createMetrics({ service: 'second', processMetrics: true });
    first.counter({ name: 'a_total', help: 'A.' });
    second.counter({ name: 'a_total', help: 'A.' }).inc({});
    expect((await first.render()).body).toContain('a_total{service="first"} 0');
    expect((await second.render()).body).toContain('process_resident_memory_bytes');
    expect(() => first.counter({ name: 'a_total', help: 'A.' })).toThrow('already been registered');
  });
});
