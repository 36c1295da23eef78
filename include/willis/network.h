#ifndef WILLIS_NETWORK_H
#define WILLIS_NETWORK_H
#endif
