import { SearchX } from 'lucide-react';
import { buttonStyle } from '../../ui/button-style.ts';
import { PageLink } from '../../ui/page-link.tsx';
import { Empty } from '../../ui/states.tsx';

/** In place of a failure, when PM says that there is no such thing. */
export function NotThere({
  what,
  name,
  back,
}: {
  readonly what: string;
  readonly name: string;
  readonly back: string;
}) {
  return (
    <Empty
      heading
      icon={<SearchX aria-hidden="true" />}
      title={`There is no ${what} called ${name}`}
      action={
        <PageLink href={back} className={buttonStyle({})}>
          Show all
        </PageLink>
      }
    >
      It may have been deleted, or the address is wrong.
    </Empty>
  );
}
