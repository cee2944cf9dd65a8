// @vitest-environment jsdom
import { cleanup, fireEvent, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startFixturePm, type FixturePm } from '../../../testkit/fixture-pm.ts';
import { renderConsole } from '../../../testkit/render.tsx';
import { HoldBanner } from './hold.tsx';

let pm: FixturePm;
beforeEach(async () => {
  pm = await startFixturePm({ fleet: 0 });
});
afterEach(async () => {
  cleanup();
  await pm.close();
});
const held = () => pm.fixtures.records.find((record) => record.hold !== null)!;

describe('a held action', () => {
  it('is carried out only after its text was typed exactly', async () => {
    const record = held();
    renderConsole(pm, <HoldBanner record={record} />);
    fireEvent.click(screen.getByRole('button', { name: 'Review and confirm' }));
    const confirm = () => screen.getByRole('button', { name: 'Confirm' });
    const input = screen.getByLabelText('Type this text to confirm');

    fireEvent.change(input, { target: { value: 'delete everything' } });
    expect(confirm().getAttribute('aria-disabled')).toBe('true');
    fireEvent.click(confirm());
    expect(pm.fixtures.records).toContain(record);

    fireEvent.change(input, { target: { value: record.hold!.confirm } });
    expect(confirm().getAttribute('aria-disabled')).toBeNull();
    fireEvent.click(confirm());
    await waitFor(() => expect(pm.fixtures.records.map((each) => each.id)).not.toContain(record.id));
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
  });

  it('says what is at stake in numbers', () => {
    renderConsole(pm, <HoldBanner record={held()} />);
    fireEvent.click(screen.getByRole('button', { name: 'Review and confirm' }));
    expect(screen.getByRole('dialog').textContent).toContain('15,904');
    expect(screen.getByRole('dialog').textContent).toContain('4 shards on 1 member');
  });

  it('is not mentioned where nothing is held', () => {
    const free = pm.fixtures.records.find((record) => record.hold === null)!;
    renderConsole(pm, <HoldBanner record={free} />);
    expect(screen.queryByRole('button')).toBeNull();
  });
});
