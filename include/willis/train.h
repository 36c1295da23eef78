#ifndef WILLIS_TRAIN_H
#define WILLIS_TRAIN_H
#endif
