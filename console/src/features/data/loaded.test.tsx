// @vitest-environment jsdom
import { PmError } from '@oaas/commons/client/pm';
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { cleanup, render, screen } from '@testing-library/react';
import { afterEach, describe, expect, it } from 'vitest';
import { Loaded } from './loaded.tsx';

afterEach(cleanup);

function Thing({ status }: { readonly status: number }) {
  const query = useQuery({
    queryKey: ['thing'],
    queryFn: () => Promise.reject(new PmError({ type: 'about:blank', title: 'It broke', status, code: 'Unavailable' })),
    retry: false,
  });
  return (
    <Loaded query={query} notFound="there is no such thing">
      {() => 'the thing'}
    </Loaded>
  );
}

const show = (status: number) =>
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Thing status={status} />
    </QueryClientProvider>,
  );

describe('what could not be read', () => {
  it('because there is no such thing, says that', async () => {
    show(404);
    expect(await screen.findByText('there is no such thing')).toBeTruthy();
  });

  it('for another reason is a failure with a way to try again, never an empty page', async () => {
    show(503);
    expect((await screen.findByRole('alert')).textContent).toContain('It broke');
    expect(screen.getByRole('button', { name: 'Try again' })).toBeTruthy();
  });
});
