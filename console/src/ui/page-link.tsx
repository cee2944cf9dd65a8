import Link from 'next/link';

/** A link inside of the console. Nothing is fetched before it is followed. */
export function PageLink(props: Omit<React.ComponentProps<typeof Link>, 'prefetch'>) {
  return <Link {...props} prefetch={false} />;
}
