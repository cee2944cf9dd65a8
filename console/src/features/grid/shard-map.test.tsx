// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, describe, expect, it } from 'vitest';
import { makeFixtures } from '../../../testkit/fixtures.ts';
import { shardMaps } from './grid.ts';
import { ShardMap } from './shard-map.tsx';

const grid = makeFixtures(1_700_000_000_000, 0).grids.get('cloud/counter-counter-cloud')!;
const map = shardMaps(grid)[0]!;
afterEach(cleanup);

describe('the shard map', () => {
  it('shows every replica once, with its place, role and state in words', () => {
    render(<ShardMap map={map} members={grid.members} />);
    const cells = screen.getAllByRole('button');
    expect(cells).toHaveLength(grid.shards.flatMap((shard) => shard.replicas).length);
    expect(
      screen.getByRole('button', { name: 'Partition 0 on counter-counter-cloud-grid-0: leader, ready' }),
    ).toBeTruthy();
    expect(
      screen.getByRole('button', { name: 'Partition 2 on counter-counter-cloud-grid-2: follower, down' }),
    ).toBeTruthy();
  });

  it('is one stop for the tab key, and arrows lead to the details of the next shard', () => {
    render(<ShardMap map={map} members={grid.members} />);
    const stops = screen.getAllByRole('button').filter((cell) => cell.tabIndex === 0);
    expect(stops).toHaveLength(1);
    stops[0]!.focus();
    fireEvent.keyDown(stops[0]!, { key: 'ArrowRight' });
    expect(document.activeElement?.getAttribute('aria-label')).toContain('Partition 2 on counter-counter-cloud-grid-0');
    expect(within(screen.getByTestId('shard-details')).getByRole('heading').textContent).toContain('Partition 2');
  });
});
